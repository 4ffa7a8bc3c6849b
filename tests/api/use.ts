// Uses the generated types as somebody would who knows the description and not the server: node use.js ADDRESS
import createClient from "openapi-fetch";
import type { components, paths } from "./made.js";

const client = createClient<paths>({ baseUrl: process.argv[2] });

function given<T>(value: T | undefined, problem: components["schemas"]["Problem"] | undefined): T {
    if (value === undefined) throw new Error(JSON.stringify(problem));
    return value;
}

async function main(): Promise<void> {
    const raised = await client.POST("/api/v1/alarms", { body: { summary: "disk full", phones: ["18712345678"], priority: "high" } });
    const alarm = given(raised.data, raised.error);
    const listed = await client.GET("/api/v1/alarms", { params: { query: { state: ["waiting"], limit: 1 } } });
    if (given(listed.data, listed.error).items[0]?.id !== alarm.id) throw new Error("another alarm");
    const shown = await client.GET("/api/v1/alarms/{id}", { params: { path: { id: alarm.id } } });
    const numbers: string[] = given(shown.data, shown.error).callees.map((callee) => callee.phone_number);
    if (numbers.join() !== "+8618712345678") throw new Error(numbers.join());
    const wrong = await client.POST("/api/v1/alarms", { body: { summary: "disk full", attempts: 11 } });
    const problem: components["schemas"]["Problem"] | undefined = wrong.error;
    if (problem?.errors?.[0]?.pointer !== "/attempts") throw new Error(JSON.stringify(problem));
    const gone = await client.DELETE("/api/v1/teams/{team}", { params: { path: { team: "nobody" } } });
    if (gone.error?.code !== "not_found") throw new Error(JSON.stringify(gone.error));
}

main().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
});
