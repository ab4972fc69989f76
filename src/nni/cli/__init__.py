"""The command ``nnictl``. Modules load with the verb that needs them, so that ``--help`` stays quick."""
