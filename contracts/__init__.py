"""Every message, charter and error of Remit: pure data, no I/O."""
