"""What firmware says on the serial port."""
