"""Public fakes, contract suites and fixtures, for our tests and for those of our users."""
