{{/*
The sidecar, for `initContainers` of a pod: first, so that what starts after it finds it ready. The context is that of this
chart; in a chart that depends on it, `.Subcharts.sallyport`.
*/}}
{{- define "sallyport.sidecar" -}}
{{ include "sallyport.container" (dict "root" . "of" .Values.sidecar) }}
restartPolicy: Always
ports:
  - { name: sp-health, containerPort: 15091 }
volumeMounts:
  - { name: sallyport-settings, mountPath: /etc/sallyport, readOnly: true }
  # Whole volumes: one with a subPath is never updated, and a rotated secret would not arrive.
  - { name: sallyport-secrets, mountPath: /etc/sallyport/secrets, readOnly: true }
  - { name: sallyport-keys, mountPath: /etc/sallyport/keys, readOnly: true }
  - { name: sallyport-state, mountPath: /var/lib/sallyport }
  - { name: sallyport-run, mountPath: /run/sallyport }
{{- end -}}

{{/* For `volumes` of the pod. */}}
{{- define "sallyport.volumes" -}}
{{- with .Values.sidecar -}}
{{ include "sallyport.volumesOf" (dict "sidecar" . "settings" .settings.name "secret" .secretName "app" .appSecretName) }}
{{- end -}}
{{- end -}}

{{/* The same with other names of the ConfigMap, and of the Secrets of upstreams and of the app. */}}
{{- define "sallyport.volumesOf" -}}
- name: sallyport-settings
  configMap:
    name: {{ .settings | quote }}
- name: sallyport-secrets
  {{- if .sidecar.secretsVolume }}
  {{- toYaml .sidecar.secretsVolume | nindent 2 }}
  {{- else }}
  # Read by others in the one container that mounts it. 0440 would need an fsGroup, which changes the volumes of the app, too.
  secret:
    secretName: {{ .secret | quote }}
    defaultMode: 0444
  {{- end }}
- name: sallyport-keys
  secret:
    secretName: {{ .app | quote }}
    defaultMode: 0444
    items: [{ key: key, path: app }]
# Of the sidecar alone: the key of its authority, and the admin socket, which knows its user, 65532, as an admin.
- name: sallyport-state
  emptyDir: { medium: Memory, sizeLimit: 16Mi }
# Written by the sidecar, read by the apps: certificates, and sockets.
- name: sallyport-run
  emptyDir: { medium: Memory, sizeLimit: 8Mi }
# For apps that can read it anew for each request, and callers of kind `kubernetes`.
- name: sallyport-token
  projected:
    defaultMode: 0444
    sources:
      - serviceAccountToken: { audience: sallyport, expirationSeconds: 3600, path: token }
{{- end -}}

{{/* For `volumeMounts` of each container of the app. */}}
{{- define "sallyport.mounts" -}}
- { name: sallyport-run, mountPath: /run/sallyport, readOnly: true }
- { name: sallyport-token, mountPath: /var/run/secrets/sallyport, readOnly: true }
{{- end -}}

{{/* For `env` of each container of the app: first the key, because a value may refer to nothing but what stands before it. */}}
{{- define "sallyport.env" -}}
- name: SALLYPORT_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .Values.sidecar.appSecretName | quote }}
      key: key
{{ include "sallyport.envOfValues" . }}
{{- end -}}

{{/* What `sallyport env --format kubernetes --caller app` prints besides the key. */}}
{{- define "sallyport.envOfValues" -}}
{{- $trust := "/run/sallyport/trust/bundle" -}}
{{- range list "HTTP_PROXY" "HTTPS_PROXY" "ALL_PROXY" "http_proxy" "https_proxy" "all_proxy" "grpc_proxy" }}
- { name: {{ . }}, value: "http://app:$(SALLYPORT_KEY)@127.0.0.1:15001" }
{{- end }}
{{- range list "NO_PROXY" "no_proxy" }}
- { name: {{ . }}, value: ".svc,.cluster.local,kubernetes.default.svc,localhost,127.0.0.1,::1" }
{{- end }}
- { name: NODE_USE_ENV_PROXY, value: "1" }
{{- if .Values.sidecar.trust }}
{{- range list "SSL_CERT_FILE" "REQUESTS_CA_BUNDLE" "CURL_CA_BUNDLE" "NODE_EXTRA_CA_CERTS" "GIT_SSL_CAINFO" "PIP_CERT" "npm_config_cafile" "AWS_CA_BUNDLE" "DENO_CERT" "CARGO_HTTP_CAINFO" "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE" "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH" "HTTPLIB2_CA_CERTS" "NIX_SSL_CERT_FILE" }}
- { name: {{ . }}, value: {{ $trust }}.pem }
{{- end }}
- { name: WGETRC, value: {{ $trust }}.wgetrc }
- { name: APT_CONFIG, value: {{ $trust }}.apt.conf }
{{- end }}
- name: JAVA_TOOL_OPTIONS
  value: "-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=15001 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=15001 -Dhttp.nonProxyHosts=*.svc|*.cluster.local|kubernetes.default.svc|*.kubernetes.default.svc|localhost|*.localhost|127.0.0.1|[::1] -Djdk.http.auth.tunneling.disabledSchemes={{ if .Values.sidecar.trust }} -Djavax.net.ssl.trustStore={{ $trust }}.jks -Djavax.net.ssl.trustStoreType=JKS{{ end }}"
{{- end -}}
