"""The account that the vendor of the kits keeps for trying them out: it knows the factory's certificates."""

# The legacy endpoint (not the ATS one): the demo of these kits has this very name built in. Its server certificate is
# under a root that their Wi-Fi modules have had from the start.
ENDPOINT = "a1gqt8sttiign3.iot.us-east-2.amazonaws.com"
