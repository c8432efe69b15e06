from clinic.management.import_command import ImportCommand
from patients.services import import_patients


class Command(ImportCommand):
    help = "Registers and changes the patients of a CSV file. Safe to repeat."
    service = import_patients
