"""Where trials run: each module or package fills the ``Platform`` port."""
