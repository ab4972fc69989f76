"""What users import to describe, start and read experiments."""
