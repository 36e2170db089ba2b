// A plugin for Headscale policies: rules that let anyone through are findings.
//
// `meta` and `validator` are the interfaces of wit/policy.wit. JSON comes as text. A thrown string
// says that the plugin could not do its work; a policy that is bad is a finding.

export const meta = {
  describe() {
    return {
      name: "my-plugin",
      version: "0.1.0",
      summary: "Rules name who connects",
      license: "Apache-2.0",
      homepage: undefined,
      rules: [
        {
          id: "any-source",
          summary: "A rule lets anyone through",
          defaultSeverity: "warning",
          help: "Name the group that needs it. Where anyone is meant, put the destination into `public`.",
          tags: [],
        },
      ],
      settingsSchema: JSON.stringify({
        $schema: "https://json-schema.org/draft/2020-12/schema",
        type: "object",
        additionalProperties: false,
        properties: {
          public: {
            description: "Destinations that anyone may reach, as the policy writes them.",
            type: "array",
            items: { type: "string" },
            default: [],
          },
        },
      }),
      paramsSchema: undefined,
      annotations: [],
    };
  },

  // What is wrong beyond the schema is thrown as a list of messages.
  checkSettings(_settings) {},
};

export const validator = {
  validate(request) {
    const policy = JSON.parse(request.policy.content);
    const { public: open = [] } = JSON.parse(request.settings);
    const findings = [];
    (policy.acls ?? []).forEach((acl, rule) => {
      if (acl.dst.every((to) => open.includes(to))) return;
      acl.src.forEach((source, at) => {
        if (source !== "*") return;
        findings.push({
          rule: "any-source",
          severity: undefined,
          message: `anyone reaches ${acl.dst.join(", ")}`,
          pointer: `/acls/${rule}/src/${at}`,
          related: [],
          fixes: [],
        });
      });
    });
    return findings;
  },
};
