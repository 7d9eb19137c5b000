"""The programming interfaces of the MCUs, as the debugger uses them."""
