// Tests of the plugin without WebAssembly: npm test
import assert from "node:assert/strict";
import { test } from "node:test";

import { validator } from "../plugin.js";

const judge = (policy, settings = {}) =>
  validator.validate({
    policy: { uri: "policy.hujson", content: JSON.stringify(policy) },
    settings: JSON.stringify(settings),
  });

const policy = {
  acls: [
    { action: "accept", src: ["group:dev"], dst: ["tag:db:5432"] },
    { action: "accept", src: ["alice@", "*"], dst: ["tag:web:443"] },
  ],
};

test("anyone as source is found", () => {
  assert.deepEqual(
    judge(policy).map((finding) => finding.pointer),
    ["/acls/1/src/1"],
  );
});

test("a public destination is none", () => {
  assert.deepEqual(judge(policy, { public: ["tag:web:443"] }), []);
});
