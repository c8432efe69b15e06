from clinic.management.importing import ImportCommand
from procedures.services.importing import import_appointments


class Command(ImportCommand):
    help = "Books the future appointments of a CSV file. Safe to repeat."
    service = import_appointments
