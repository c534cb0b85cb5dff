"""What the plugin ``tests.nbval_strict`` is made of: kernel, cells, outputs, pictures."""
