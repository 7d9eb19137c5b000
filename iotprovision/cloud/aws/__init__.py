"""An AWS account, as far as provisioning needs it."""
