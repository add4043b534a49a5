// Every call of the npm client `ollama`: node ollama_calls.mjs URL TOKEN ADMINISTRATORS_TOKEN, and with
// the token - those that an Ollama server itself answers.
import { Ollama } from "ollama";

import { collected, tell } from "./outcomes.mjs";

const [host, token, adminToken] = process.argv.slice(2);
const client = (bearer) => new Ollama({ host, headers: { Authorization: `Bearer ${bearer}` } });
const user = client(token);
const admin = client(adminToken);

const model = "demo";
const endless = "hang-decode-after-20";
const ask = (content) => [{ role: "user", content }];
const messages = ask("Why is the sky blue?");
const banned = ask("Where is the violet submarine?");
const pixel = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [
  { type: "function", function: { name: "get_weather", description: "Weather", parameters: city } },
];
const toolRequest = () => ({ model, messages: ask("Use the tool for Paris"), tools });

const talking = {
  generate: () => user.generate({ model, prompt: "Why?" }),
  "generate, streamed": () => collected(user.generate({ model, prompt: "Why?", stream: true })),
  "generate with system, suffix and options": () =>
    user.generate({ model, prompt: "a", suffix: "b", system: "be brief", options: { seed: 1 } }),
  "generate as JSON of a schema": () => user.generate({ model, prompt: "x", format: city }),
  "generate with an image": () => user.generate({ model, prompt: "What?", images: [pixel] }),
  "load a model": () => user.generate({ model, prompt: "" }),
  "unload a model": () => user.generate({ model, prompt: "", keep_alive: 0 }),
  chat: () => user.chat({ model, messages }),
  "chat, streamed": () => collected(user.chat({ model, messages, stream: true })),
  "chat with tools": () => user.chat(toolRequest()),
  "chat with tools, streamed": () => collected(user.chat({ ...toolRequest(), stream: true })),
  "a tool's result": () =>
    user.chat({
      model,
      messages: [
        ...messages,
        {
          role: "assistant",
          content: "",
          tool_calls: [{ function: { name: "get_weather", arguments: { city: "Paris" } } }],
        },
        { role: "tool", tool_name: "get_weather", content: "22 degrees" },
      ],
    }),
  "thinking, streamed": () => collected(user.chat({ model, messages, think: true, stream: true })),
  "an image": () => user.chat({ model, messages: [{ ...messages[0], images: [pixel] }] }),
  logprobs: () => user.chat({ model, messages, logprobs: true, top_logprobs: 2 }),
  "embed one": () => user.embed({ model, input: "hello" }),
  "embed several": () => user.embed({ model, input: ["hello", "world"] }),
  "embeddings, old form": () => user.embeddings({ model, prompt: "hello" }),
};

const looking = {
  list: () => user.list(),
  ps: () => user.ps(),
  show: () => user.show({ model }),
  version: () => user.version(),
};

const managing = {
  pull: () => admin.pull({ model: "llama2" }),
  "pull, streamed": () => collected(admin.pull({ model: "team/llama3:8b", stream: true })),
  push: () => admin.push({ model }),
  "push, streamed": () => collected(admin.push({ model, stream: true })),
  create: () => admin.create({ model: "mine", from: model, system: "be kind" }),
  "create, streamed": () => collected(admin.create({ model: "ours", from: model, stream: true })),
  copy: () => admin.copy({ source: model, destination: "copied" }),
  delete: () => admin.delete({ model: "copied" }),
};

const failing = {
  "a model that is not there": () => user.chat({ model: "nobody", messages }),
  "a model that is not there, streamed": () =>
    collected(user.chat({ model: "nobody", messages, stream: true })),
  "deleting what is not there": () => admin.delete({ model: "nobody" }),
  "a busy server": () => user.chat({ model: "error-busy", messages }),
  "an error in the stream": () =>
    collected(user.chat({ model: "error-in-stream", messages, stream: true })),
  "abort of one stream": async () => {
    const stream = await user.chat({ model: endless, messages, stream: true });
    for await (const _part of stream) stream.abort();
  },
  "abort of all streams": async () => {
    const stream = await user.generate({ model: endless, prompt: "Why?", stream: true });
    for await (const _part of stream) user.abort();
  },
};

// What the proxy answers by itself.
const own = {
  "an answer that breaks off": () => collected(user.chat({ model: "cut", messages, stream: true })),
  "a wrong token": () => client("nobody's").list(),
  "a wrong token, streamed": () =>
    collected(client("nobody's").chat({ model, messages, stream: true })),
  "a user who pulls": () => user.pull({ model: "llama2" }),
  "a user who deletes": () => user.delete({ model }),
  "a banned prompt": () => user.chat({ model, messages: banned }),
  "a banned prompt, streamed": () => collected(user.chat({ model, messages: banned, stream: true })),
  "a banned text to embed": () => user.embed({ model, input: ["fine", banned[0].content] }),
  "a banned answer": () => user.chat({ model: "leaky", messages }),
  "a banned answer, streamed": () =>
    collected(user.chat({ model: "leaky-stream", messages, stream: true })),
};

await tell({ ...talking, ...looking, ...managing, ...failing, ...(token === "-" ? {} : own) });
