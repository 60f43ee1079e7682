"""Where int8 hurts: layer by layer, what float layers cost, and which of them meet a target."""
