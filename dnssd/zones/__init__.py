"""Where records live: one module for each provider, all behind `base.Zone`."""
