/*
 * What makes an MQTT connection one to an IoT hub.
 */
#include "agent/hub_link.h"

#include <stdio.h>

#include "codec/topic.h"
#include "crypto/sas_key.h"

#define API_VERSION  "2021-04-12"
#define USER_MAX     1024
#define RESOURCE_MAX 512
#define TOPIC_SIZE   4096

/* sr = {host}/devices/{dev}, no skn: the device's own key (protocol/device.md 3.3) */
static int
password_write(const struct hub_link_opts *o, struct buf *out, struct err *e)
{
	auto_buf resource = BUF_INIT(RESOURCE_MAX);
	buf_printf(&resource, "%s/devices/%s", o->host, o->device_id);
	if (buf_check(&resource, "SAS resource", e))
		return -1;
	return sas_key_sign(
	    buf_span(&resource), o->sas_key, o->sas_expiry_s, NULL, out, e);
}

int
hub_link_open(struct loop *l, const struct hub_link_opts *o,
    const struct mqtt_link_ops *ops, void *arg, struct mqtt_link **ret, struct err *e)
{
	auto_buf user = BUF_INIT(USER_MAX);
	auto_buf password = BUF_INIT(SAS_KEY_TOKEN_MAX);
	password.secret = true;
	buf_printf(&user,
	    "%s/%s/?api-version=" API_VERSION "&DeviceClientType=muster-agent%%2F%s",
	    o->host, o->device_id, MUSTER_VERSION);
	if (buf_check(&user, "user name", e))
		return -1;
	if (o->sas_key.len && password_write(o, &password, e))
		return -1;
	/* CleanSession 0, as all SDKs: a proving connection must not wipe the
	 * subscriptions of the device it speaks for (3.5) */
	struct mqtt_link_opts lo = {.host = o->host,
	    .port = o->port,
	    .client_id = o->device_id,
	    .user = buf_text(&user),
	    .password = o->sas_key.len ? buf_text(&password) : NULL,
	    .clean = false,
	    .keepalive_ms = o->keepalive_ms,
	    .connect_ms = o->connect_ms,
	    .tls = o->tls};
	return mqtt_link_open(l, &lo, ops, arg, ret, e) ? err_wrap(e, "hub") : 0;
}

int
hub_link_send(struct mqtt_link *m, const char *device_id, struct span body,
    const struct hub_link_prop *props, size_t nprops, int *ret_mid, struct err *e)
{
	if (nprops > HUB_LINK_PROPS_MAX)
		return err_set(
		    e, ERR_LIMIT, "more than %d properties", HUB_LINK_PROPS_MAX);
	auto_buf topic = BUF_INIT(TOPIC_SIZE);
	topic_write_telemetry(&topic, span_str(device_id), SPAN_NONE);
	topic_bag_put(&topic, SPAN_LIT("$.ct"), SPAN_LIT("application/json"));
	topic_bag_put(&topic, SPAN_LIT("$.ce"), SPAN_LIT("utf-8"));
	for (size_t i = 0; i < nprops; i++)
		topic_bag_put(&topic, span_str(props[i].key), span_str(props[i].value));
	if (buf_check(&topic, "telemetry topic", e))
		return -1;
	return mqtt_link_publish(m, buf_text(&topic), body, ret_mid, e);
}
