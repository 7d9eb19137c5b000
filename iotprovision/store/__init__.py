"""What is kept on this computer: the certificate folder, and backups of what runs overwrote."""
