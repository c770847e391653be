"""The register of orders: what became of each one, and what a resend is compared with."""
