"""The account that the vendor of the kits keeps for trying them out: it knows the factory's certificates."""

# The legacy endpoint (not the ATS one): the demo of these kits has this very name built in. Its server certificate is
# under a root that their Wi-Fi modules have had from the start.
ENDPOINT = "a1gqt8sttiign3.iot.us-east-2.amazonaws.com"

# The same account with a server certificate under Amazon's own roots, which are those that a modem is given.
ATS_ENDPOINT = "a1gqt8sttiign3-ats.iot.us-east-2.amazonaws.com"


def endpoint(has_wifi: bool) -> str:
    """The endpoint for a kit.

    :param has_wifi: False for a kit with a modem
    """
    return ENDPOINT if has_wifi else ATS_ENDPOINT
