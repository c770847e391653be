"""The SQL projection: tables that anyone can query, their migrations, writing and reading them."""
