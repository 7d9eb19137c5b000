"""The simulated secure element and Wi-Fi module, at the level of their commands, registers and buses."""

import hashlib
import os
import struct

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from support.simulated_chips import private_key

from iotprovision.simulator.chips import ecc608, winc1510
from iotprovision.simulator.chips.ecc608 import EXECUTION_ERROR, PARSE_ERROR, SUCCESS, ZONE_DATA, Ecc608
from iotprovision.simulator.chips.ecc608_bus import Ecc608Bus, crc16
from iotprovision.simulator.chips.winc1510 import Winc1510
from iotprovision.simulator.chips.winc1510_bus import Winc1510Bus

# RFC 6979, appendix A.2.5: the key, its public point, and the signature of "sample" with SHA-256.
RFC_KEY = private_key(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721)
RFC_PUBLIC_KEY = bytes.fromhex(
    "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
    "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
)
RFC_SIGNATURE = bytes.fromhex(
    "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
    "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
)
SERIAL_NUMBER = bytes.fromhex("012355aa66bb77cc01")


@pytest.fixture
def chip() -> Ecc608:
    return Ecc608(SERIAL_NUMBER, {0: RFC_KEY})


def word_address(slot: int, block: int = 0, word: int = 0) -> int:
    return block << 8 | slot << 3 | word


def write_slot(chip: Ecc608, slot: int, data: bytes, block: int = 0) -> bytes:
    return chip.command(ecc608.WRITE, ZONE_DATA | (0x80 if len(data) == 32 else 0), word_address(slot, block), data)


def read_slot(chip: Ecc608, slot: int, block: int = 0) -> bytes:
    return chip.command(ecc608.READ, ZONE_DATA | 0x80, word_address(slot, block))


# --- secure element --------------------------------------------------------------------------------------------------


def test_public_key_and_signature_are_those_of_rfc_6979(chip):
    digest = hashlib.sha256(b"sample").digest()
    assert chip.command(ecc608.GENKEY, 0, 0) == RFC_PUBLIC_KEY
    assert chip.command(ecc608.NONCE, 0x43, 0, digest) == SUCCESS
    assert chip.command(ecc608.SIGN, 0xA0, 0) == RFC_SIGNATURE


def test_signature_over_the_temporary_key_verifies_with_another_library_call(chip):
    digest = hashlib.sha256(b"another message").digest()
    assert chip.command(ecc608.NONCE, 0x03, 0, digest) == SUCCESS
    answer = chip.command(ecc608.SIGN, 0x80, 0)
    signature = utils.encode_dss_signature(int.from_bytes(answer[:32], "big"), int.from_bytes(answer[32:], "big"))
    RFC_KEY.public_key().verify(signature, digest, ec.ECDSA(utils.Prehashed(SHA256())))


def test_nothing_to_sign_and_nothing_to_sign_with_are_refused(chip):
    assert chip.command(ecc608.SIGN, 0xA0, 0) == EXECUTION_ERROR
    chip.command(ecc608.NONCE, 0x43, 0, bytes(32))
    assert chip.command(ecc608.SIGN, 0xA0, 1) == EXECUTION_ERROR
    chip.sleep()
    assert chip.command(ecc608.SIGN, 0xA0, 0) == EXECUTION_ERROR


def test_serial_number_is_split_over_the_configuration_zone(chip):
    block = chip.command(ecc608.READ, ecc608.ZONE_CONFIG | 0x80, 0)
    assert block[0:4] + block[8:13] == SERIAL_NUMBER
    assert block[4:8] == chip.command(ecc608.INFO)
    assert chip.serial_number == SERIAL_NUMBER


@pytest.mark.parametrize("slot", range(16))
def test_private_keys_are_secret_and_data_slots_are_not(chip, slot):
    answer = read_slot(chip, slot)
    if slot < 8:
        assert answer == EXECUTION_ERROR
        assert write_slot(chip, slot, bytes(32)) == EXECUTION_ERROR
    else:
        assert answer == bytes(32)
        assert write_slot(chip, slot, b"\x5a" * 32) == SUCCESS
        assert bytes(chip.slots[slot][:32]) == b"\x5a" * 32


def test_blocks_behind_the_end_of_a_slot_are_refused_and_a_short_last_block_is_padded(chip):
    assert write_slot(chip, 10, bytes(range(32)), block=2) == SUCCESS
    assert bytes(chip.slots[10][64:]) == bytes(range(8))
    assert len(chip.slots[10]) == 72
    assert read_slot(chip, 10, block=2) == bytes(range(8)) + bytes(24)
    assert read_slot(chip, 10, block=3) == PARSE_ERROR
    assert write_slot(chip, 10, bytes(32), block=3) == PARSE_ERROR


def test_a_locked_slot_keeps_its_content_and_is_locked_once(chip):
    write_slot(chip, 12, b"\x11" * 32)
    assert chip.command(ecc608.LOCK, 12 << 2 | ZONE_DATA) == SUCCESS
    assert [chip.is_locked(slot) for slot in (11, 12, 13)] == [False, True, False]
    assert chip.command(ecc608.LOCK, 12 << 2 | ZONE_DATA) == EXECUTION_ERROR
    assert write_slot(chip, 12, bytes(32)) == EXECUTION_ERROR
    assert read_slot(chip, 12) == b"\x11" * 32
    assert chip.meters.secure_element_locks == 1


def test_meters_count_writes_that_change_something(chip):
    for data in (b"\x01" * 4, b"\x01" * 4, b"\x02" * 4):
        assert write_slot(chip, 9, data) == SUCCESS
    assert chip.meters.secure_element_writes == 2


def test_configuration_and_otp_of_a_locked_chip_cannot_be_written(chip):
    assert chip.command(ecc608.WRITE, ecc608.ZONE_CONFIG, 5, bytes(4)) == EXECUTION_ERROR
    assert chip.command(ecc608.WRITE, ecc608.ZONE_OTP, 0, bytes(4)) == EXECUTION_ERROR
    assert chip.command(ecc608.LOCK, ecc608.ZONE_CONFIG | 0x80) == EXECUTION_ERROR


def test_a_new_key_replaces_the_old_one_only_in_an_open_private_slot(chip):
    public_key = chip.command(ecc608.GENKEY, 0x04, 1)
    assert chip.command(ecc608.GENKEY, 0, 1) == public_key == chip.public_key(1)
    assert chip.command(ecc608.GENKEY, 0x04, 9) == EXECUTION_ERROR
    chip.command(ecc608.LOCK, ZONE_DATA)
    assert chip.command(ecc608.GENKEY, 0x04, 0) == EXECUTION_ERROR
    assert chip.command(ecc608.GENKEY, 0, 0) == RFC_PUBLIC_KEY


def test_a_refused_slot_refuses_everything(chip):
    chip.faults.secure_element_refused_slots = [0, 10]
    chip.command(ecc608.NONCE, 0x43, 0, bytes(32))
    assert read_slot(chip, 10) == write_slot(chip, 10, bytes(32)) == EXECUTION_ERROR
    assert chip.command(ecc608.LOCK, 10 << 2 | ZONE_DATA) == EXECUTION_ERROR
    assert chip.command(ecc608.GENKEY, 0, 0) == chip.command(ecc608.SIGN, 0xA0, 0) == EXECUTION_ERROR
    assert read_slot(chip, 11) == bytes(32)


def test_state_survives_a_yaml_file(chip):
    write_slot(chip, 8, os.urandom(32), block=12)
    chip.otp[:8] = b"MKMwyhP1"
    chip.command(ecc608.LOCK, 10 << 2 | ZONE_DATA)
    copy = Ecc608.from_state(yaml.safe_load(yaml.safe_dump(chip.state())))
    assert (copy.config, copy.otp, copy.slots) == (chip.config, chip.otp, chip.slots)
    assert copy.command(ecc608.GENKEY, 0, 0) == RFC_PUBLIC_KEY
    assert copy.is_locked(10)


@pytest.mark.parametrize(
    ("field", "value"), [("otp", None), ("config", "00"), ("slots", {}), ("private_keys", {0: "zz"}), ("otp", "xx")]
)
def test_a_damaged_state_is_refused(chip, field, value):
    state = chip.state() | {field: value}
    with pytest.raises(ValueError, match=r"secure element|hex|invalid literal"):
        Ecc608.from_state(state)


def test_bus_wakes_the_chip_with_the_packet_of_the_data_sheet(chip):
    bus = Ecc608Bus(chip)
    bus.wake()
    assert bytes(bus.read() for _ in range(4)) == bytes.fromhex("04113343")
    assert bus.read() == 0xFF


def transfer(bus: Ecc608Bus, data: bytes) -> None:
    bus.start()
    for byte in data:
        bus.write(byte)
    bus.stop()


def packet(opcode: int, parameter1: int, parameter2: int, data: bytes = b"") -> bytes:
    body = struct.pack("<BBBH", 7 + len(data), opcode, parameter1, parameter2) + data
    return body + crc16(body)


def test_bus_keeps_the_digest_while_idle_and_loses_it_asleep(chip):
    bus = Ecc608Bus(chip)
    for end, answer in ((b"\x02", RFC_SIGNATURE), (b"\x01", EXECUTION_ERROR)):
        bus.wake()
        transfer(bus, b"\x03" + packet(ecc608.NONCE, 0x43, 0, hashlib.sha256(b"sample").digest()))
        transfer(bus, end)
        assert not bus.awake
        bus.wake()
        transfer(bus, b"\x03" + packet(ecc608.SIGN, 0xA0, 0))
        size = bus.read()
        received = bytes([size, *(bus.read() for _ in range(size - 1))])
        assert received[1:-2] == answer
        assert received[-2:] == crc16(received[:-2])


def test_bus_reports_a_damaged_packet(chip):
    bus = Ecc608Bus(chip)
    bus.wake()
    good = packet(ecc608.INFO, 0, 0)
    for damaged in (good[:-1] + bytes([good[-1] ^ 1]), good[:-1], b"", b"\x03\x00\x00"):
        transfer(bus, b"\x03" + damaged)
        assert bus.read() == 4
        assert bus.read() == 0xFF
    transfer(bus, b"\x03" + good)
    assert bus.read() == 7


def test_a_silent_chip_does_not_wake(chip):
    chip.faults.secure_element_silent = True
    bus = Ecc608Bus(chip)
    bus.wake()
    assert not bus.awake
    assert not bus.present


# --- Wi-Fi module ----------------------------------------------------------------------------------------------------


class SpiHost:
    """The other end of the SPI bus: commands as the driver sends them, with and without CRC."""

    def __init__(self, module: Winc1510) -> None:
        self.bus = Winc1510Bus(module)
        self.crc = True

    def command(self, *bytes_: int) -> None:
        for byte in bytes_:
            self.bus.exchange(byte)
        if self.crc:
            self.bus.exchange(0x7F)

    def answer(self, opcode: int, size: int = 0) -> bytes:
        """The bytes behind the acknowledgement; the driver skips what comes before it."""
        received = [self.bus.exchange(0) for _ in range(size + 6)]
        start = received.index(opcode)
        assert received[start + 1] == 0
        return bytes(received[start + 3 : start + 3 + size])

    def write_register(self, address: int, value: int) -> None:
        self.command(0xC9, *address.to_bytes(3, "big"), *value.to_bytes(4, "big"))

    def read_register(self, address: int) -> int:
        for byte in (0xCA, *address.to_bytes(3, "big")):
            self.bus.exchange(byte)
        received = [self.bus.exchange(0x7F if self.crc and index == 0 else 0) for index in range(9)]
        start = received.index(0xF3)
        return int.from_bytes(bytes(received[start + 1 : start + 5]), "little")


def test_chip_starts_over_spi_and_tells_its_versions():
    host = SpiHost(Winc1510())
    assert host.read_register(0x1000) & 0xFFFFFF00 == 0x100300
    host.write_register(0xE824, 0x52 & ~0x0C)
    host.crc = False
    assert host.read_register(0xC000C) == 0x10ADD09E
    host.write_register(0xC000C, 0xEF522F61)
    assert host.read_register(0x108C) == 0x02532636
    pointers = 0x30000 | host.read_register(0xC0008)
    versions = 0x30000 | struct.unpack("<II", host.bus.module.read_memory(pointers, 8))[1]
    assert tuple(host.bus.module.read_memory(versions + 4, 6)) == (19, 7, 7, 19, 3, 0)


def test_blocks_cross_the_bus_both_ways():
    module = Winc1510()
    host = SpiHost(module)
    host.write_register(0xE824, 0)
    host.crc = False
    data = os.urandom(300)
    for byte in (0xC7, *(0xD0000).to_bytes(3, "big"), *len(data).to_bytes(3, "big"), 0, 0, 0, 0xF3, *data):
        host.bus.exchange(byte)
    assert module.read_memory(0xD0000, len(data)) == data
    for byte in (0xC8, *(0xD0000).to_bytes(3, "big"), *len(data).to_bytes(3, "big")):
        last = host.bus.exchange(byte)
    received = bytes([last] + [host.bus.exchange(0) for _ in range(len(data) + 4)])
    assert data in received


def flash_command(module: Winc1510, command: bytes, count: int = 0, program: bytes = b"") -> bytes:
    """One command to the flash through the registers of its controller."""
    padded = command.ljust(8, b"\0")
    module.write_memory(0xD0000, program)
    module.write_register(winc1510.FLASH_DATA_COUNT, count)
    module.write_register(winc1510.FLASH_COMMAND_LOW, int.from_bytes(padded[:4], "little"))
    module.write_register(winc1510.FLASH_COMMAND_HIGH, int.from_bytes(padded[4:], "little"))
    module.write_register(winc1510.FLASH_DMA_ADDRESS, 0xD0000)
    module.write_register(winc1510.FLASH_COMMAND_COUNT, len(program) << 8 | 0x80 | len(command))
    assert module.read_register(winc1510.FLASH_TRANSFER_DONE) == 1
    return module.read_memory(0xD0000, count)


def read_flash(module: Winc1510, address: int, count: int) -> bytes:
    return flash_command(module, b"\x0b" + address.to_bytes(3, "big") + b"\xa5", count=count)


def test_flash_clears_bits_wraps_in_its_page_and_erases_whole_sectors():
    module = Winc1510()
    for data in (b"\x0f" * 16, b"\xaa" * 16):
        flash_command(module, b"\x06")
        flash_command(module, b"\x02" + (0x50F8).to_bytes(3, "big"), program=data)
    assert read_flash(module, 0x50F8, 8) == read_flash(module, 0x5000, 8) == b"\x0a" * 8
    assert read_flash(module, 0x5100, 8) == read_flash(module, 0x5008, 8) == b"\xff" * 8
    flash_command(module, b"\x06")
    flash_command(module, b"\x20" + (0x5ABC).to_bytes(3, "big"))
    assert module.flash == b"\xff" * 0x100000
    assert (module.meters.winc_page_writes, module.meters.winc_sector_erases) == (2, 1)


def test_flash_is_changed_only_after_write_enable():
    module = Winc1510()
    flash_command(module, b"\x02" + bytes(3), program=b"\0" * 4)
    flash_command(module, b"\x06")
    flash_command(module, b"\x04")
    flash_command(module, b"\x02" + bytes(3), program=b"\0" * 4)
    assert read_flash(module, 0, 4) == b"\xff" * 4
    flash_command(module, b"\x06")
    flash_command(module, b"\x02" + bytes(3), program=b"\0" * 4)
    flash_command(module, b"\x20" + bytes(3))
    assert read_flash(module, 0, 5) == b"\0" * 4 + b"\xff"
    assert module.meters.winc_sector_erases == 0


def test_flash_address_wraps_at_one_mebibyte():
    module = Winc1510()
    module.flash[:2], module.flash[-2:] = b"ab", b"yz"
    assert read_flash(module, 0xFFFFE, 4) == read_flash(module, 0x1FFFFE, 4) == b"yzab"


def test_flash_identifies_itself_as_one_mebibyte():
    assert 1 << flash_command(Winc1510(), b"\x9f", count=4)[2] == 0x100000


def test_a_flipped_bit_strikes_once():
    module = Winc1510()
    module.faults.winc_flip_after_writes = 1
    for address in (0, 256, 512):
        module.program_page(address, b"\x10" * 4)
    assert [module.flash[address] for address in (0, 256, 512)] == [0x10, 0x11, 0x10]


def test_a_reset_keeps_flash_and_restores_registers():
    module = Winc1510()
    module.program_page(0, b"\0")
    module.write_register(0xC000C, 0xEF522F61)
    module.reset()
    assert module.flash[0] == 0
    assert module.read_register(0x108C) == 0
    assert module.read_register(0xC000C) == 0x10ADD09E


def test_a_silent_module_answers_zeros():
    module = Winc1510()
    module.faults.winc_silent = True
    bus = Winc1510Bus(module)
    assert not any(bus.exchange(byte) for byte in (0xCA, 0, 0x10, 0, 0x7F, 0, 0, 0, 0, 0, 0))


def test_flash_of_another_size_is_refused():
    with pytest.raises(ValueError, match="1048576"):
        Winc1510(b"\xff" * 4096)


# --- what a TLS client asks of the secure element ----------------------------------------------------------------


def test_an_ephemeral_key_and_the_secret_shared_with_a_peer():
    chip, peer = Ecc608(), ec.generate_private_key(ec.SECP256R1())
    numbers = peer.public_key().public_numbers()
    point = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    ours = chip.command(0x40, 0x04, 0xFFFF)
    secret = chip.command(0x43, 0x0D, 0x0000, point)
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + ours)
    assert secret == peer.exchange(ec.ECDH(), public)
    assert ours != chip.public_key(0)
    chip.sleep()
    assert chip.command(0x43, 0x0D, 0x0000, point) == b"\x0f", "the key was in RAM"
    chip.command(0x40, 0x04, 0xFFFF)
    assert chip.command(0x43, 0x0D, 0x0000, b"\x01" * 64) == b"\x0f", "no point of the curve"


def test_a_signature_is_checked_with_a_key_from_outside():
    chip, peer = Ecc608(), ec.generate_private_key(ec.SECP256R1())
    digest = hashlib.sha256(b"what is signed").digest()
    r, s = utils.decode_dss_signature(peer.sign(digest, ec.ECDSA(utils.Prehashed(SHA256()))))
    numbers = peer.public_key().public_numbers()
    data = b"".join(number.to_bytes(32, "big") for number in (r, s, numbers.x, numbers.y))
    assert chip.command(0x45, 0x02, 0x0004, data) == b"\x0f", "nothing to check"
    chip.command(0x16, 0x43, 0, digest)
    assert chip.command(0x45, 0x22, 0x0004, data) == b"\x00"
    assert chip.command(0x45, 0x22, 0x0004, data[32:64] + data[:32] + data[64:]) == b"\x01"
    chip.command(0x16, 0x43, 0, bytes(32))
    assert chip.command(0x45, 0x22, 0x0004, data) == b"\x01"
