"""The providers: who answers, spoken to over one thin HTTP client (`transport`) and one event reader (`sse`)."""
