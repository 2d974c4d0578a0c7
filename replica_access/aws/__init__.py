"""AWS: boto3 stays in here."""
