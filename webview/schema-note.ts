import type { Detail } from "./exchange-model.ts";

export type SchemaNote = NonNullable<Detail["call"]>["requestSchema"];
