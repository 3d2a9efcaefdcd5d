// PostGraphile over our tables, as fast as it goes: no GraphiQL, no watching, and nulls where our index has them.
// Without that plugin it also filters and sorts by columns that have no index, such as the few listings of a coin.
import { makePgService } from "postgraphile/adaptors/pg";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";

export default {
  extends: [PostGraphileAmberPreset],
  disablePlugins: ["PgIndexBehaviorsPlugin"],
  pgServices: [makePgService({ connectionString: process.env.DATABASE_URL, schemas: ["public"] })],
  schema: { pgOrderByNullsLast: true },
  grafserv: { host: "127.0.0.1", port: Number(process.env.PORT), graphiql: false, watch: false },
};
