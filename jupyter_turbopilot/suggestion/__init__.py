"""From tokens to what a person is shown: when to stop, what to cut, whether to speak. Pure."""
