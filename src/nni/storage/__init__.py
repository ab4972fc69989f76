"""The manager's side of volumes, the pod's side as pure functions, and the bundle."""
