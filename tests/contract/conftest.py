from kit.everyzone import opener, primaries, zone

__all__ = ["opener", "primaries", "zone"]
