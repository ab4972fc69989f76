"""The two ports: the portal for people and the intake for trials."""
