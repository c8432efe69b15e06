"""A made-up clinic to try the service with. Nobody in it exists; all of it went through the real services."""
