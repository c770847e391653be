"""The documents that are made from the table: OpenAPI and the pages in docs/."""
