"""The separators that come with sepbench, each written as a third party would write it."""
