"""The rules of the audit, a module a family; `audit.rulebook` has them all."""
