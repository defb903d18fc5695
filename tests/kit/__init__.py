"""The test kit: scripted and real mail servers on loopback, and the program under test between them."""
