/** The generated stubs of `tamis.v1`: messages and services. */

/** The details of errors, for services of one's own. */
export { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
export * from "./gen/tamis/v1/catalog_service_pb.js";
export * from "./gen/tamis/v1/filter_pb.js";
export * from "./gen/tamis/v1/index_service_pb.js";
export * from "./gen/tamis/v1/passage_pb.js";
export * from "./gen/tamis/v1/plugin_service_pb.js";
export * from "./gen/tamis/v1/search_service_pb.js";
export * from "./gen/tamis/v1/value_pb.js";
