"""The doors of programs: the model endpoints, the public catalog, and the management API."""
