"""How good are the suggestions? Real notebooks, typed through the whole product."""
