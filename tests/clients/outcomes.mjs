// Runs a client's calls one after the other and tells what each gave, as one JSON object on stdout:
// {"name": {"value": ...}}, or {"error": its class, "message", "status", "code", "parts": what came before it}.

const told = (error) => ({
  error: error.name === "Error" ? error.constructor.name : error.name,
  message: error.message,
  status: error.status ?? error.status_code ?? null,
  code: error.code ?? null,
  parts: error.parts ?? [],
});

/** All parts of a stream; one that breaks off keeps those that came in its error's `parts`. */
export async function collected(stream) {
  const parts = [];
  try {
    for await (const part of await stream) parts.push(part);
  } catch (error) {
    throw Object.assign(error, { parts });
  }
  return parts;
}

/** Ends the process's output with the outcomes; what the client itself prints goes to stderr. */
export async function tell(calls) {
  console.log = console.error;
  const outcomes = {};
  for (const [name, call] of Object.entries(calls)) {
    try {
      outcomes[name] = { value: (await call()) ?? null };
    } catch (error) {
      outcomes[name] = told(error);
    }
  }
  process.stdout.write(`${JSON.stringify(outcomes)}\n`);
}
