"""The service on one's own machine: its environment, embedded servers and `manage.py up`. Deployments use none."""
