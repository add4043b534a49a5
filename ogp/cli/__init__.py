"""Commands of the shell: `ogp config`, `ogp users`, `ogp setup`, `ogp demo`."""
