"""The bucket: media and artifacts, on any S3 endpoint."""
