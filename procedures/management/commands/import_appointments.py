from clinic.management.import_command import ImportCommand
from procedures.services.imports import import_appointments


class Command(ImportCommand):
    help = "Books the future appointments of a CSV file. Safe to repeat."
    service = import_appointments
