"""What people bring, by kind: each file has `forms()`."""
