"""The only importer of MLflow: runs, versions, aliases, bundles; and which version served when."""
