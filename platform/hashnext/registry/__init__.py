"""Registry: model packages and MLflow."""
