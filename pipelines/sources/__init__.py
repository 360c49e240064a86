"""What fills the raw zone: adapters of public data, of anybody's log, and the simulator."""
