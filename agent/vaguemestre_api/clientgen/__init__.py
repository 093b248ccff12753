"""Generator of the vendors' clients (JavaScript and C#) from the OpenAPI document: docs/adr, "generated clients"."""
