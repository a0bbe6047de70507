"""Services as other programs' configuration: files, and HAProxy kept up to date."""
