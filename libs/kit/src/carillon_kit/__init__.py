"""What every Carillon service needs and no PBX noun: time, identifiers, settings, logs, storage, messages, gRPC, supervision."""
